package generate

import "strings"

// stopText releases text up to a stop string, and holds back the end of the text that may be the beginning of one. Of
// several stop strings the one that is complete first counts, and of those that end together the longest. So the result
// does not depend on the pieces in which the text arrives.
type stopText struct {
	stops []string
	held  string
}

// add appends a piece and returns the text that is now final. found reports that a stop string is complete; the text
// ends before it.
func (s *stopText) add(piece string) (text string, found bool) {
	if len(s.stops) == 0 {
		return piece, false
	}
	all := s.held + piece
	s.held = ""
	end, cut := len(all)+1, 0
	for _, stop := range s.stops {
		if i := strings.Index(all, stop); i >= 0 && (i+len(stop) < end || i+len(stop) == end && i < cut) {
			end, cut = i+len(stop), i
		}
	}
	if end <= len(all) {
		return all[:cut], true
	}
	n := len(all) - s.beginning(all)
	s.held = all[n:]
	return all[:n], false
}

// beginning returns the length of the longest end of text with which a stop string begins.
func (s *stopText) beginning(text string) int {
	longest := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}

// flush returns the text that was held back, at the end of the text.
func (s *stopText) flush() string {
	text := s.held
	s.held = ""
	return text
}
