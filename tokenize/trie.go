package tokenize

import (
	"slices"
	"strings"
)

// trie finds the longest of a set of keys that a text begins with, in time linear in the length of that key. Nodes are
// numbered level by level, so the children of a node are adjacent and sorted by label.
type trie struct {
	root  [256]int32 // child of the root by label; 0 for none
	first []int32    // nodes first[n] … first[n+1]-1 are the children of node n
	label []byte     // last byte of the node's key
	value []int32    // value of the key that ends here; -1 for none
}

// newTrie builds the trie of keys, which must differ, with their values.
func newTrie(keys []string, values []int32) *trie {
	type group struct{ from, to, depth int } // keys that share a node
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
	t := &trie{label: []byte{0}, value: []int32{-1}}
	queue := []group{{0, len(keys), 0}}
	for n := 0; n < len(queue); n++ {
		g := queue[n]
		t.first = append(t.first, int32(len(queue)))
		i := g.from
		if i < g.to && len(keys[order[i]]) == g.depth {
			t.value[n] = values[order[i]]
			i++
		}
		for i < g.to {
			b, j := keys[order[i]][g.depth], i+1
			for j < g.to && keys[order[j]][g.depth] == b {
				j++
			}
			if n == 0 {
				t.root[b] = int32(len(queue))
			}
			queue = append(queue, group{i, j, g.depth + 1})
			t.label = append(t.label, b)
			t.value = append(t.value, -1)
			i = j
		}
	}
	t.first = append(t.first, int32(len(queue)))
	return t
}

// longest returns the length and the value of the longest key of t that text begins with; the length is 0 if there is
// none.
func longest[T string | []byte](t *trie, text T) (length int, value int32) {
	if len(text) == 0 {
		return 0, -1
	}
	value = -1
	n := t.root[text[0]]
	for i := 1; n != 0; i++ {
		if v := t.value[n]; v >= 0 {
			length, value = i, v
		}
		if i == len(text) {
			break
		}
		n = t.child(n, text[i])
	}
	return length, value
}

// child returns the child of node n by label b, or 0.
func (t *trie) child(n int32, b byte) int32 {
	lo, hi := t.first[n], t.first[n+1]
	for hi-lo > 8 {
		if mid := (lo + hi) / 2; t.label[mid] <= b {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if t.label[lo] == b {
			return lo
		}
	}
	return 0
}
