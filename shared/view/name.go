package view

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// mostValue bounds the bytes of a value as it stands in a name: the rest of a
// longer one counts by its hash.
const mostValue = 512

// Name is the index as a store writes it down: letters, digits and marks of
// ASCII alone, no two the same, empty for All. What people or forges put into a
// value (spaces, line ends, other scripts) is escaped byte by byte.
func (i Index) Name() string {
	if i == All {
		return ""
	}
	return i.Field + "=" + Escape(i.Value)
}

// Escape writes a value as Name does.
func Escape(value string) string {
	if len(value) > mostValue {
		sum := sha256.Sum256([]byte(value))
		value = value[:mostValue-20] + "~" + hex.EncodeToString(sum[:8])
	}
	if strings.IndexFunc(value, odd) < 0 {
		return value
	}
	var b strings.Builder
	for at := range len(value) {
		if c := value[at]; odd(rune(c)) {
			b.WriteByte('%')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// odd tells what is escaped. Colons and braces would end up in Redis's keys,
// the percent sign is the mark.
func odd(r rune) bool {
	plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./+@~,", r)
	return !plain
}

// Unescape reads what Escape wrote.
func Unescape(name string) string {
	if !strings.Contains(name, "%") {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) {
			if c, err := hex.DecodeString(name[i+1 : i+3]); err == nil {
				b.Write(c)
				i += 2
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// ParseName reads what Name wrote.
func ParseName(name string) Index {
	field, value, _ := strings.Cut(name, "=")
	return Index{Field: field, Value: Unescape(value)}
}
