package icon

import "slices"

// builtin are the icons that our pages can draw by themselves, in the order of the alphabet.
var builtin = []string{
	"api", "archive", "bell", "book", "bug", "calendar", "camera", "cast", "chart", "chat",
	"clock", "cloud", "code", "container", "cube", "dashboard", "database", "desktop", "dns", "door",
	"download", "energy", "file", "film", "folder", "game", "git", "globe", "heart", "home",
	"image", "key", "lamp", "laptop", "lock", "mail", "map", "microphone", "music", "network",
	"note", "phone", "printer", "radio", "robot", "router", "rss", "server", "shield", "shop",
	"speaker", "storage", "table", "terminal", "thermometer", "tools", "tv", "upload", "users", "video",
	"vpn", "water", "wiki",
}

// Builtin lists the built-in icons.
func Builtin() []string { return slices.Clone(builtin) }

// IsBuiltin reports whether there is a built-in icon of that name.
func IsBuiltin(name string) bool { return slices.Contains(builtin, name) }
