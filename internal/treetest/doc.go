// Package treetest holds tests about this tree: who may import whom, that every package says
// what it is, that files stay readable, and that the documents speak of what exists. It has no
// code of its own.
package treetest
