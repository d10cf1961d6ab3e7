package arch

import "encoding/json"

// EndToken is eos_token_id of a config.json for a head that reads the end token of a text: its id, or NoEndToken.
type EndToken int32

// NoEndToken means that a config.json names no end token, or a list of them, of which transformers' heads find none.
const NoEndToken EndToken = -1

// UnmarshalJSON reads an id. null and a list become NoEndToken; another value is an error.
func (e *EndToken) UnmarshalJSON(text []byte) error {
	var list []json.Number
	if json.Unmarshal(text, &list) == nil { // a list or null
		*e = NoEndToken
		return nil
	}
	return json.Unmarshal(text, (*int32)(e))
}
