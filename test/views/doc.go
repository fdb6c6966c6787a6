// Package views holds the read models to what they are made of; all of it is
// tests.
package views
