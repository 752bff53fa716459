package access

import (
	"fmt"

	"golang.org/x/text/language"

	"github.com/ownline/ownline/internal/ownline"
)

// dissolved are countries that the library still knows by numbers of their own.
var dissolved = map[string]bool{"AN": true, "CS": true, "NT": true, "SU": true, "YU": true}

// isCountry reports whether a code is one of ISO 3166-1, or Kosovo's XK, which databases of addresses have.
func isCountry(code string) bool {
	r, err := language.ParseRegion(code)
	return err == nil && r.IsCountry() && r.M49() != 0 && r.Canonicalize() == r && !dissolved[code]
}

// CheckCountries refuses codes that are of no country, of those that have the form of one: a list with such
// a code would let in nobody from the country that was meant, and nobody would know why.
func CheckCountries(field string, words []string) error {
	for _, w := range words {
		if !ownline.IsCountry(w) || isCountry(w) {
			continue
		}
		if r, err := language.ParseRegion(w); err == nil && isCountry(r.Canonicalize().String()) {
			return ownline.Invalid(field, fmt.Sprintf("%q is the code of no country in ISO 3166-1: write %s", w, r.Canonicalize()))
		}
		return ownline.Invalid(field, fmt.Sprintf("%q is the code of no country in ISO 3166-1", w))
	}
	return nil
}

// ParseOrigins reads a list of origins, as ownline.ParseOrigins does, whose countries there are.
func ParseOrigins(field string, words []string, prefix6 int) (ownline.Origins, error) {
	o, err := ownline.ParseOrigins(field, words, prefix6)
	if err == nil {
		err = CheckCountries(field, o.Words())
	}
	if err != nil {
		return "", err
	}
	return o, nil
}
