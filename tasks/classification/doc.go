// Package classification is what classifiers of texts and of images share: what their logits mean, losses, targets and
// metrics, and how a run finds its classes. A classifier has one class for each row, several, or a value (regression).
package classification
