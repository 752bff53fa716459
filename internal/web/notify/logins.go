package notify

import (
	"net/netip"

	"github.com/ownline/ownline/internal/ownline"
)

// LoginTried takes the news of a try to sign in. It never waits.
func (n *Notify) LoginTried(a ownline.LoginAttempt) {
	news := ownline.News{Kind: ownline.LoginFailed, At: a.Latest, User: a.UserName, Count: a.Count}
	if a.Client.IsValid() {
		news.Source = netip.PrefixFrom(a.Client, a.Client.BitLen())
	}
	switch a.Result {
	case ownline.LoginOK:
		news.Kind = ownline.LoginSucceeded
		news.Detail = method(a.Method)
	case ownline.Throttled:
		news.Kind = ownline.LoginThrottled
	case ownline.WrongCode:
		news.Detail = "the password was right, the code was not"
	case ownline.WrongPasskey:
		news.Detail = "the passkey was not right"
	case ownline.Refused:
		news.Detail = "this user may not sign in"
	}
	n.Report(news)
}

// method is a way to sign in in words; "": the usual one.
func method(m ownline.LoginMethod) string {
	switch m {
	case ownline.ByTOTP:
		return "password and code"
	case ownline.ByRecovery:
		return "password and a recovery code"
	case ownline.ByPasskey:
		return "passkey"
	case ownline.ByOIDC:
		return "through the identity provider"
	case ownline.BySetup:
		return "by the link of the first start"
	}
	return ""
}
