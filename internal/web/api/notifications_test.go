package api

import "testing"

func TestNotifications(t *testing.T) {
	w := newWorld(t)
	if got := as[list[channel]](w.do(w.admin, "GET", "/notifications", nil), 200).Items; len(got) != 1 || got[0].Name != "ops" || got[0].Service != "generic" {
		t.Errorf("got %+v", got)
	}
	if got := as[struct{ Delivered bool }](w.do(w.admin, "POST", "/notifications/ops/test", nil), 200); !got.Delivered {
		t.Error("not delivered")
	}
	if got := as[list[channel]](w.do(w.admin, "GET", "/notifications", nil), 200).Items[0].Sent; got != 1 {
		t.Errorf("%d were sent", got)
	}
	w.do(w.admin, "POST", "/notifications/none/test", nil).problem(404, "")
}

// A server without channels has an empty list of them.
func TestNoChannels(t *testing.T) {
	w := newWorld(t)
	w.api.notifications = noChannels{}
	if got := string(w.do(w.admin, "GET", "/notifications", nil).want(200).body); got != `{"items":[]}`+"\n" {
		t.Errorf("got %s", got)
	}
	w.do(w.admin, "POST", "/notifications/ops/test", nil).problem(404, "")
	s, err := New(Options{Access: w.access, Auth: w.api.auth, Log: w.api.log})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.notifications.Channels()); n != 0 {
		t.Errorf("there are %d", n)
	}
}
