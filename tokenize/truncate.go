package tokenize

import "fmt"

// truncate shortens the tokens of one or two texts so that, with added further
// tokens, they number at most o.MaxLength. It returns how many it dropped.
//
// The reference stops reading a text at the end of the word in which it has
// o.MaxLength tokens, and divides the room by the lengths it has then. Which of
// two long texts gets the odd token depends on that, so the lengths seen here
// are those.
func truncate(texts *[2][]token, isPair bool, added int, o Options) (int, error) {
	if o.MaxLength == 0 {
		return 0, nil
	}
	if o.NoSpecial {
		added = 0
	}
	room := o.MaxLength - added
	if room < 0 || o.MaxLength < 0 {
		return 0, fmt.Errorf("tokenize: max length %d has no room for the %d special tokens", o.MaxLength, added)
	}
	total := len(texts[0]) + len(texts[1])
	if total <= room {
		return 0, nil
	}
	if o.Truncation == DoNotTruncate {
		return 0, fmt.Errorf("tokenize: input has %d tokens, max length is %d", total+added, o.MaxLength)
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

// share divides the room for tokens among the texts.
func share(texts *[2][]token, isPair bool, room int, o Options) (keep [2]int, err error) {
	a, b := len(texts[0]), len(texts[1])
	switch {
	case room == 0:
		return keep, nil
	case o.Truncation == LongestFirst && !isPair:
		return [2]int{room, 0}, nil
	case o.Truncation == LongestFirst:
		n, m := seen(texts[0], o), seen(texts[1], o)
		if n <= m {
			n, m = halve(n, m, room)
		} else {
			m, n = halve(m, n, room)
		}
		return [2]int{n, m}, nil
	case o.Truncation == OnlyFirst && room > b:
		return [2]int{room - b, b}, nil
	case o.Truncation == OnlySecond && !isPair:
		return keep, fmt.Errorf("tokenize: %d tokens exceed max length %d, and only_second cannot shorten an input without a pair", a, o.MaxLength)
	case o.Truncation == OnlySecond && room > a:
		return [2]int{a, room - a}, nil
	case o.Truncation == OnlyFirst || o.Truncation == OnlySecond:
		return keep, fmt.Errorf("tokenize: %s cannot shorten texts of %d and %d tokens to max length %d: the other text alone fills it",
			o.Truncation, a, b, o.MaxLength)
	}
	return keep, fmt.Errorf("tokenize: unknown truncation strategy %d", o.Truncation)
}

// halve gives two texts of n <= m tokens their parts of the room.
func halve(n, m, room int) (int, int) {
	if n > room {
		m = n
	} else {
		m = max(n, room-n)
	}
	if n+m > room {
		n = room / 2
		m = n + room%2
	}
	return n, m
}

// seen returns how many tokens of t the reference reads.
func seen(t []token, o Options) int {
	n := len(t)
	if n <= o.MaxLength {
		return n
	}
	at := func(i int) token { return t[i] }
	if o.Side == Left {
		at = func(i int) token { return t[n-1-i] }
	}
	// Words are read whole, and an added token never ends the reading.
	for i := o.MaxLength; i < n; i++ {
		if last := at(i - 1); last.word != at(i).word && !last.added {
			return i
		}
	}
	return n
}
