// Package notify tells people what happens: by Telegram, mail, syslog and whatever else the
// notification library speaks. Whoever reports is never made to wait. What is alike and
// close together becomes one message; what can't be delivered is tried again, for a while,
// and counted when it is given up.
//
// The addresses of channels hold secrets. They leave this package only towards the service:
// errors say what kind of thing went wrong, never in the library's own words.
package notify
