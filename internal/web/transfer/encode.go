package transfer

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

const head = "# What an Ownline web holds. docs/reference/export.md says what the keys mean.\n"

// WriteYAML writes the document so that Parse reads the same.
func (d Document) WriteYAML(w io.Writer) error {
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(node(reflect.ValueOf(d))); err != nil {
		return err
	}
	return enc.Close()
}

// MarshalJSON writes the same keys and values as WriteYAML.
func (d Document) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := writeJSON(&b, node(reflect.ValueOf(d)))
	return b.Bytes(), err
}

var (
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// node makes a value of a document into YAML. What is zero is left out, as reading makes it
// zero again; a list that is there but empty stays.
func node(v reflect.Value) *yaml.Node {
	switch {
	case v.Type() == durationType:
		return scalar("!!str", time.Duration(v.Int()).String())
	case v.Type() == timeType:
		return scalar("!!timestamp", v.Interface().(time.Time).UTC().Format(time.RFC3339Nano))
	case v.Type().Implements(textType):
		b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			panic(err) // ours never fail
		}
		return scalar("!!str", string(b))
	}
	switch v.Kind() {
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				n.Content = append(n.Content, scalar("!!str", v.Type().Field(i).Tag.Get("key")), node(v.Field(i)))
			}
		}
		return n
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v.Type().Elem().Kind() != reflect.Struct || v.Type().Elem().Implements(textType) {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, node(v.Index(i)))
		}
		return n
	case reflect.Bool:
		return scalar("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Int:
		return scalar("!!int", strconv.FormatInt(v.Int(), 10))
	case reflect.Uint16, reflect.Uint64:
		return scalar("!!int", strconv.FormatUint(v.Uint(), 10))
	case reflect.String:
		return scalar("!!str", v.String())
	}
	panic("transfer: no rule for " + v.Type().String())
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			fmt.Fprintf(b, "%c%q:", "{,"[min(i, 1)], n.Content[i].Value)
			if err := writeJSON(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		if len(n.Content) == 0 {
			b.WriteByte('{')
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		if n.Tag == "!!bool" || n.Tag == "!!int" {
			b.WriteString(n.Value)
			return nil
		}
		text, err := json.Marshal(n.Value)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}
