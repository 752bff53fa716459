package link

import "strings"

// lexer reads a text as nginx reads its configuration (ngx_conf_read_token).
type lexer struct {
	text string
	at   int
}

// statement is a directive, one end of a block, or a mark.
type statement struct {
	words []string
	end   byte
}

// What a statement ends with.
const (
	end     byte = 0 // of the text
	simple  byte = ';'
	opening byte = '{'
	closing byte = '}'
	mark    byte = ':'
)

func (l *lexer) next() (s statement, err error) {
	for ; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; c {
		case ' ', '\t', '\r', '\n':
		case '#':
			line, _, _ := strings.Cut(l.text[l.at:], "\n")
			l.at += len(line) - 1
		case simple, opening, closing:
			if m := l.mark(); m != "" {
				if len(s.words) > 0 {
					return s, unplaced
				}
				l.at += len(m)
				return statement{[]string{m}, mark}, nil
			}
			if (len(s.words) == 0) != (c == closing) {
				return s, refuse("has a " + string(c) + " where nginx takes none")
			}
			l.at++
			s.end = c
			return s, nil
		default:
			word, err := l.word()
			if err != nil {
				return s, err
			}
			s.words = append(s.words, word)
			l.at--
		}
	}
	if len(s.words) > 0 {
		return s, refuse("ends within a directive")
	}
	return s, nil
}

// mark returns the one that is next.
func (l *lexer) mark() string {
	for _, m := range own {
		if strings.HasPrefix(l.text[l.at:], m) {
			return m
		}
	}
	return ""
}

// word reads one. A quote counts at its beginning alone, and a brace behind a dollar sign is of a
// variable.
func (l *lexer) word() (string, error) {
	var b strings.Builder
	quote := l.text[l.at]
	if quote == '"' || quote == '\'' {
		l.at++
	} else {
		quote = 0
	}
	for dollar := false; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		switch {
		case c == '{' && dollar:
			b.WriteByte(c)
			continue
		case c == '\\' && l.at+1 < len(l.text):
			l.at++
			b.WriteByte(l.text[l.at]) // nginx keeps the backslash of some, which no name has
		case quote != 0 && c == quote:
			l.at++
			if l.at < len(l.text) && !strings.ContainsRune(" \t\r\n;{)", rune(l.text[l.at])) {
				return "", refuse("has something right behind a quoted word")
			}
			return b.String(), nil
		case quote == 0 && strings.IndexByte(" \t\r\n;{", c) >= 0:
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
		dollar = c == '$'
	}
	return "", refuse("ends within a word")
}

// places counts the marks of a text, wherever they are.
func places(text string) (n int) {
	for _, m := range own {
		n += strings.Count(text, m)
	}
	return n
}

var unplaced = refuse("must have {{.Guard}}, {{.Listen}}, {{.Forward}} and {{.Trust}} each on a line of its own, neither in a comment nor in quotes")
