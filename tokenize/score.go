package tokenize

import (
	"math"
	"strconv"
	"strings"
)

// libraryFloat returns the number that the reference's JSON reader (serde_json without float_roundtrip) makes of a JSON
// number: the digits as an integer, cut off where they no longer fit, times or divided by a power of ten. For one in
// seven scores of real models this is not the nearest number but a neighbour of it, which decides between equal sums.
// ok is false if the number is too large.
func libraryFloat(text string) (f float64, ok bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(text, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits, power := cutDigits(whole, fraction)
	if exponent != "" {
		e, err := strconv.ParseInt(exponent, 10, 32)
		switch {
		case err != nil && e > 0 && digits != 0:
			return 0, false
		case err != nil: // far from any number
			digits = 0
		default:
			power += int(e)
		}
	}
	f = float64(digits)
	for ; power < -308 && f != 0; power += 308 {
		f /= 1e308
	}
	switch {
	case f == 0:
	case power > 308:
		return 0, false
	case power < 0:
		f /= powersOfTen[-power]
	default:
		f *= powersOfTen[power]
	}
	if strings.HasPrefix(text, "-") {
		f = -f
	}
	return f, !math.IsInf(f, 0)
}

// powersOfTen holds 10⁰ … 10³⁰⁸, each rounded to the nearest number.
var powersOfTen = func() (t [309]float64) {
	for i := range t {
		t[i], _ = strconv.ParseFloat("1e"+strconv.Itoa(i), 64)
	}
	return t
}()

// cutDigits returns the digits of a number as an integer, without those that do not fit, and the power of ten by which
// to multiply it.
func cutDigits(whole, fraction string) (digits uint64, power int) {
	take := func(text string) (n int) {
		for n < len(text) {
			d := uint64(text[n] - '0')
			if digits > (math.MaxUint64-d)/10 {
				break
			}
			digits = 10*digits + d
			n++
		}
		return n
	}
	if n := take(whole); n < len(whole) {
		power = len(whole) - n
	}
	if n := take(fraction); n > 0 {
		power -= n
	}
	return digits, power
}
