package generate

import "fmt"

// EarlyStopping says when the beam search of a prompt ends. In each case it ends when its sequences reach their largest
// length.
type EarlyStopping int

// The values of early_stopping.
const (
	// UntilUnlikely (false): when the best unfinished sequence, as long as it is now, is worse than all finished ones.
	UntilUnlikely EarlyStopping = iota
	// UntilFull (true): when there are NumBeams finished sequences.
	UntilFull
	// UntilImpossible ("never"): when no unfinished sequence can become better than the finished ones.
	UntilImpossible
)

var earlyStopping = [...]string{UntilUnlikely: "false", UntilFull: "true", UntilImpossible: "never"}

// ParseEarlyStopping reads false, true or never.
func ParseEarlyStopping(text string) (EarlyStopping, error) {
	for e, s := range earlyStopping {
		if s == text {
			return EarlyStopping(e), nil
		}
	}
	return 0, fmt.Errorf("%q is not false, true or never", text)
}

// String returns false, true or never.
func (e EarlyStopping) String() string {
	if e < 0 || int(e) >= len(earlyStopping) {
		return fmt.Sprintf("EarlyStopping(%d)", int(e))
	}
	return earlyStopping[e]
}

// UnmarshalJSON reads false, true or "never".
func (e *EarlyStopping) UnmarshalJSON(text []byte) (err error) {
	s := string(text)
	if s == `"never"` {
		s = "never"
	} else if s == "never" || s == "null" {
		return fmt.Errorf("%s is not false, true or \"never\"", s)
	}
	*e, err = ParseEarlyStopping(s)
	return err
}
