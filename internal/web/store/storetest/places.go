package storetest

import (
	"slices"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

func testPlaces(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx := t.Context()
	country := func(name string) ownline.Place { return ownline.Place{Kind: ownline.PlaceCountry, Name: name} }
	prefix := func(name string) ownline.Place { return ownline.Place{Kind: ownline.PlacePrefix, Name: name} }
	for _, step := range []struct {
		what string
		see  []ownline.Place
		want []ownline.Place
	}{
		{"the first of a kind says nothing", []ownline.Place{country("ES"), prefix("198.51.0.0/16")}, nil},
		{"the same again", []ownline.Place{country("ES"), prefix("198.51.0.0/16")}, nil},
		{"one is new", []ownline.Place{country("ES"), prefix("203.0.0.0/16")}, []ownline.Place{prefix("203.0.0.0/16")}},
		{"both are", []ownline.Place{country("FR"), prefix("192.0.0.0/16")}, []ownline.Place{country("FR"), prefix("192.0.0.0/16")}},
		{"back", []ownline.Place{country("ES"), prefix("198.51.0.0/16")}, nil},
		{"a kind that was not known before", []ownline.Place{{Kind: ownline.PlaceSystem, Name: "AS64500"}}, nil},
	} {
		got, err := s.SeePlaces(ctx, f.Device.ID, step.see, T0)
		if err != nil || !slices.Equal(got, step.want) {
			t.Errorf("%s: got %v, %v; want %v", step.what, got, err, step.want)
		}
	}
	// Another device has a history of its own.
	other := f.Device
	other.ID = ownline.NewID[ownline.Device]()
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.AddDevice(other) }); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SeePlaces(ctx, other.ID, []ownline.Place{country("FR")}, T0); err != nil || got != nil {
		t.Errorf("another device: %v, %v", got, err)
	}
	if _, err := s.SeePlaces(ctx, ownline.NewID[ownline.Device](), []ownline.Place{country("FR")}, T0); err == nil {
		t.Error("a device that there never was has a place")
	}
}
