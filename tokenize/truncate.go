package tokenize

import "fmt"

// truncate shortens the tokens of one or two texts so that, together with added further tokens, there are at most
// o.MaxLength. It returns the number of tokens that it dropped.
func truncate(texts *[2][]token, isPair bool, added int, o Options) (int, error) {
	if o.Truncation < LongestFirst || o.Truncation > DoNotTruncate {
		return 0, fmt.Errorf("unknown truncation strategy %d", o.Truncation)
	}
	if o.MaxLength == 0 {
		return 0, nil
	}
	if o.NoSpecial {
		added = 0
	}
	room := o.MaxLength - added
	if room < 0 || o.MaxLength < 0 {
		return 0, fmt.Errorf("max length %d has no room for the %d special tokens", o.MaxLength, added)
	}
	total := len(texts[0]) + len(texts[1])
	if total <= room {
		return 0, nil
	}
	if o.Truncation == DoNotTruncate {
		return 0, fmt.Errorf("the input has %d tokens, max length is %d", total+added, o.MaxLength)
	}
	keep, err := share(texts, isPair, room, o)
	if err != nil {
		return 0, err
	}
	for i, t := range texts {
		n := min(keep[i], len(t))
		if o.Side == Left {
			texts[i] = t[len(t)-n:]
		} else {
			texts[i] = t[:n]
		}
	}
	return total - len(texts[0]) - len(texts[1]), nil
}

// share divides the room for tokens among the texts and returns the number of tokens that each keeps.
func share(texts *[2][]token, isPair bool, room int, o Options) (keep [2]int, err error) {
	a, b := len(texts[0]), len(texts[1])
	switch {
	case room == 0:
		return keep, nil
	case o.Truncation == LongestFirst && !isPair:
		return [2]int{room, 0}, nil
	case o.Truncation == LongestFirst:
		if a <= b {
			a, b = halve(a, b, room)
		} else {
			b, a = halve(b, a, room)
		}
		return [2]int{a, b}, nil
	case o.Truncation == OnlyFirst && room > b:
		return [2]int{room - b, b}, nil
	case o.Truncation == OnlySecond && !isPair:
		return keep, fmt.Errorf("%d tokens exceed max length %d, and only_second cannot shorten an input without a pair",
			a, o.MaxLength)
	case o.Truncation == OnlySecond && room > a:
		return [2]int{a, room - a}, nil
	}
	return keep, fmt.Errorf("%s cannot shorten texts of %d and %d tokens to max length %d: the other text alone fills it",
		o.Truncation, a, b, o.MaxLength)
}

// halve divides the room between two texts of n <= m tokens: the shorter one keeps all its tokens if the longer one
// then keeps at least as many; otherwise each gets half, and the longer one gets the odd token.
func halve(n, m, room int) (int, int) {
	if 2*n <= room {
		return n, room - n
	}
	return room / 2, room - room/2
}
