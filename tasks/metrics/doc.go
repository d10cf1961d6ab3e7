// Package metrics scores predictions against targets.
//
// The values equal those of scikit-learn and SciPy on the same numbers: [Classes] has accuracy, macro-F1 and Matthews'
// correlation of one class for each row, [MultiLabel] has subset accuracy, micro- and macro-F1 of a yes or no for each
// class, [Regression] has the mean squared error and the correlations of Pearson and Spearman. [SQuAD] has exact match
// and F1 of answers as the official scripts of SQuAD compute them, [Entities] has precision, recall and F1 of tagged
// entities as seqeval computes them. Of generated texts [ScoreRouge] has ROUGE-1, 2, L and Lsum as rouge_score computes
// them, [BLEU] and [CHRF] have corpus BLEU, chrF and chrF++ as sacreBLEU does. Of transcripts [ErrorRate] has word and
// character error rates as jiwer computes them; package normalize has Whisper's normal forms for them.
//
// Where a formula divides by zero, the [Score] has the value that these libraries give it, and the reason why: 0 for
// precision, recall, F1 and Matthews' coefficient, NaN for the correlations of Pearson and Spearman. Where there is
// nothing to score, or a prediction is not a number, an error says so. Targets that are marked as missing
// (batch.Ignore, or NaN) do not count.
//
// All functions are pure, keep nothing of their arguments and are safe for concurrent use; [BLEU], [CHRF],
// [RougeMean] and [ErrorRate] collect and are not.
package metrics
