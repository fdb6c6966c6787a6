package config

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Load reads the settings through env, which is os.LookupEnv or stands for it;
// a variable that is set and empty counts as unset. The error names every
// setting that is wrong, never the value of a secret.
func Load(env func(string) (string, bool)) (Config, error) {
	var c Config
	var wrong []error
	for _, s := range settings(&c) {
		text, err := s.text(env)
		if err == nil && text != "" {
			err = parse(s.field, text)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("config: %s: %w", s.name, err))
		}
	}
	if len(wrong) == 0 {
		wrong = c.check()
	}
	return c, errors.Join(wrong...)
}

// setting is one field with its tags.
type setting struct {
	group    string // its struct
	member   string // its name there
	name     string // its environment variable
	or       string // another one, read where name is unset
	fallback string // its default
	secret   bool
	field    reflect.Value
}

func settings(c *Config) []setting {
	var all []setting
	groups := reflect.ValueOf(c).Elem()
	for i := range groups.NumField() {
		group := groups.Field(i)
		for k := range group.NumField() {
			member := group.Type().Field(k)
			all = append(all, setting{
				group: group.Type().Name(), member: member.Name,
				name: member.Tag.Get("env"), or: member.Tag.Get("or"), fallback: member.Tag.Get("default"),
				secret: member.Type == reflect.TypeFor[Secret](), field: group.Field(k),
			})
		}
	}
	return all
}

// text finds what the setting is set to, or its default.
func (s setting) text(env func(string) (string, bool)) (string, error) {
	value, _ := env(s.name)
	if s.secret {
		if path, _ := env(s.name + "_FILE"); path != "" {
			return fromFile(path, value)
		}
	}
	if value == "" && s.or != "" {
		value, _ = env(s.or)
	}
	if value == "" {
		value = s.fallback
	}
	return value, nil
}

func fromFile(path, value string) (string, error) {
	if value != "" {
		return "", errors.New("it and its _FILE are both set")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("_FILE: %w", err)
	}
	text := strings.TrimRight(string(raw), "\r\n")
	if text == "" {
		return "", fmt.Errorf("_FILE: %s is empty", path)
	}
	return text, nil
}

// parse sets a field from its text; the errors show an example.
func parse(field reflect.Value, text string) error {
	switch target := field.Addr().Interface().(type) {
	case *string:
		*target = text
	case *Secret:
		*target = Secret(text)
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no duration, such as 30s or 24h", text)
		}
		*target = d
	case *int, *int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || field.OverflowInt(n) {
			return fmt.Errorf("%q is no whole number", text)
		}
		field.SetInt(n)
	case encoding.TextUnmarshaler:
		if err := target.UnmarshalText([]byte(text)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("a setting of type %s", field.Type())
	}
	return nil
}
