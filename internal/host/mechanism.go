package host

// State is whether something can be used.
type State string

// What is found out about a mechanism by trying it.
const (
	Usable   State = "usable"
	Unusable State = "not"
	Unknown  State = "could not tell"
)

// Mechanism is something of this host that profgen can make use of.
type Mechanism struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"` // of a usable one what it is, else the reason
	Do     string `json:"do,omitempty"`     // about one that is not usable
}

// Tried returns a mechanism that was tried: usable if err is nil.
func Tried(name string, err error, detail, do string) Mechanism {
	if err != nil {
		return Mechanism{name, Unusable, err.Error(), do}
	}
	return Mechanism{Name: name, State: Usable, Detail: detail}
}
