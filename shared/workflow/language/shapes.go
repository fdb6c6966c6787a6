package language

// Shape is the form of a value, as a fragment of JSON Schema (draft 7, which
// every editor's YAML support knows).
type Shape map[string]any

// expressionPattern is met by any text with an expression in it.
const expressionPattern = `\$\{\{`

func text() Shape       { return Shape{"type": []string{"string", "number", "boolean"}} }
func textOrNull() Shape { return Shape{"type": []string{"string", "number", "boolean", "null"}} }
func boolean() Shape    { return Shape{"type": "boolean"} }
func expr() Shape       { return Shape{"type": "string", "pattern": expressionPattern} }
func anything() Shape   { return Shape{} }

func pattern(p string) Shape { return Shape{"type": "string", "pattern": p} }

func integer(least, most int) Shape {
	return Shape{"type": "integer", "minimum": least, "maximum": most}
}

func positive(most float64) Shape {
	return Shape{"type": "number", "exclusiveMinimum": 0, "maximum": most}
}

func either(shapes ...Shape) Shape { return Shape{"anyOf": shapes} }

func list(item Shape) Shape { return Shape{"type": "array", "items": item} }

func filled(s Shape) Shape {
	s["minItems"] = 1
	return s
}

func textOrList() Shape { return either(text(), filled(list(text()))) }

func words(w ...string) Shape { return Shape{"enum": w} }

func mapping(value Shape) Shape {
	return Shape{"type": "object", "additionalProperties": value}
}

// named is a mapping whose keys people choose, with a pattern.
func named(keys string, value Shape) Shape {
	return Shape{
		"type": "object", "additionalProperties": false,
		"patternProperties": Shape{keys: value},
	}
}

// ref points to a place's own definition.
func ref(p *Place) Shape { return Shape{"$ref": "#/definitions/" + p.ID} }
