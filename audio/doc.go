// Package audio reads sound files and computes the features that speech models read.
//
//	clip, err := audio.Read("speech.flac", audio.Limits{})        // mono samples at the rate of the file
//	clip, err = clip.Resample(extractor.Rate())                   // at the rate of the model
//	rows := extractor.Features(clip.Samples)                      // log-mel rows of a window: Frames×Bins
//
// [Read] and [Decode] take WAV (PCM of 8 to 32 bits, floats of 32 and 64 bits, WAVE_FORMAT_EXTENSIBLE, RF64, streams
// whose header does not say how long they are) and FLAC (up to 24 bits). The content of a file decides, not the ending
// of its name. Channels are averaged. A file that is damaged, truncated, empty or of another kind is an [*Error] that
// names the file and the reason; silence is sound like any other.
//
// FLAC is decoded by github.com/mewkiz/flac, which writes a line to the standard logger for every frame of 24 kHz and
// 176.4 kHz; a program that minds sets log.SetOutput, as the commands of this module do.
//
// [Extractor] computes the features of transformers' WhisperFeatureExtractor.
package audio
