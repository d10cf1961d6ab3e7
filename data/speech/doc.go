// Package speech reads lists of recordings with transcripts: CSV, TSV and JSON Lines that name sound files, folders
// with metadata.csv or metadata.jsonl, and lists of sound files.
//
//	train, err := speech.Read("train.jsonl", speech.Options{}) // rows, without the sound
//	row := train.At(0)                                         // row.Audio, row.Text
//	clip, err := row.Load(audio.Limits{})                      // the first recording, decoded
//
// A row says where its recording is; [Row.Load] reads and decodes it, so memory does not grow with the sound. Rows of a
// program may hold sound files in memory instead. Package data describes the formats of rows, package audio those of
// sound.
package speech
