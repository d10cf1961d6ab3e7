// Package bench measures training on the user's path; its sub-packages are commands that compare single parts with other
// systems. docs/performance.md has the figures and how to get them again.
package bench
