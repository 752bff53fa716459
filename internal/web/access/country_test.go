package access

import (
	"errors"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

func TestCountries(t *testing.T) {
	n := 0
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, a := range letters {
		for _, b := range letters {
			if isCountry(string(a) + string(b)) {
				n++
			}
		}
	}
	if n != 250 { // ISO 3166-1 has 249, and Kosovo
		t.Errorf("there are %d countries", n)
	}
	if err := CheckCountries("allowed_from", []string{"ES", "GB", "XK", "AS", "BQ", "SS", "AS3352", "198.51.100.0/24"}); err != nil {
		t.Error(err)
	}
	for word, want := range map[string]string{
		"UK": `"UK" is the code of no country in ISO 3166-1: write GB`,
		"TP": `"TP" is the code of no country in ISO 3166-1: write TL`,
		"EU": `"EU" is the code of no country in ISO 3166-1`,
		"XX": `"XX" is the code of no country in ISO 3166-1`, "ZZ": "", "AA": "", "QO": "", "SU": "", "EA": "", "UN": "",
	} {
		_, err := ParseOrigins("allowed_from", []string{"ES", strings.ToLower(word)}, 64)
		fe, ok := errors.AsType[*ownline.FieldError](err)
		if !ok || fe.Field != "allowed_from" || !errors.Is(err, ownline.ErrInvalid) || want != "" && fe.Detail != want {
			t.Errorf("%s: %v", word, err)
		}
	}
}
