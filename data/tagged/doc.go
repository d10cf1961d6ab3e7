// Package tagged reads sentences with a tag for each word: CoNLL, CoNLL-U, and JSON with lists of words and tags or
// with spans of characters, which become tags.
//
//	train, err := tagged.Read("train.conll", tagged.Options{})
//	scheme, err := tagged.GuessScheme(train)                     // how tags spell entities, IOB2 for example
//	train, err = train.Repair(scheme)                            // tags that follow its rules
//	labels, err := tagged.FindLabels(data.LabelSource{}, train)  // tags in order
//	classes, err := train.Classes(labels)                        // one for each word of each sentence
//
// [SplitWords] finds the words of raw texts. [Entities] and [StrictEntities] find the entities that tags spell, as
// seqeval does. Package data describes the formats that it shares with other readers.
package tagged
