package console_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestFilters: what people filter by composes, stands in the address, and each part of
// it can be taken away again. Runs that wait for an approval say so.
func TestFilters(t *testing.T) {
	s := start(t, "", "127.0.0.1:0")
	of := push
	of.Actor, of.Ref = "bo", "refs/heads/fix/cart"
	s.ended(s.submit("name: Cart\njobs: {a: {steps: [{run: exit 1}]}}\n", of))
	s.ended(s.submit("name: Shop\njobs: {a: {steps: [{run: echo}]}}\n", push))
	s.submit(asks, push)
	b := open(t, s)
	b.reads(".runs", "Needs approval Ask")
	b.do(chromedp.Click(".filter-fields summary", chromedp.NodeVisible), chromedp.SendKeys("[name=branch]", "main"), chromedp.SendKeys("[name=event]", "push\r"))
	b.reads(".chips.active", "Branch: main")
	b.reads(".chips.active", "Event: push")
	b.reads(".runs", "Shop")
	if text := b.text(".runs"); strings.Contains(text, "Cart") {
		t.Errorf("the list is %s", text)
	}
	b.do(chromedp.SendKeys("#q", "shop\r"))
	b.reads(".chips.active", "Search: shop")
	if at := eval[string](b, "location.search"); at != "?branch=main&event=push&q=shop" {
		t.Errorf("the address says %s", at)
	}
	b.do(chromedp.Click(`.chips a[href*="state=failed"]`))
	b.reads("main", "No failed run matches these filters")
	b.do(chromedp.Click(`.chips.active a[href="/?event=push&q=shop&state=failed"]`)) // without the branch
	b.reads(".runs", "Cart")                                                         // of acme/shop
	b.do(chromedp.Click(".chips.active .clear"))
	b.reads(".runs", "Needs approval Ask")
	b.do(chromedp.Click(`.run-who a[href="/?actor=bo"]`))
	b.reads(".chips.active", "Triggered by: bo")
	if n := eval[int](b, "document.querySelectorAll('.run').length"); n != 1 {
		t.Errorf("%d runs", n)
	}
	b.visit("/?state=approval")
	b.reads(".runs", "Ask")
	if n := eval[int](b, "document.querySelectorAll('.run').length"); n != 1 {
		t.Errorf("%d runs", n)
	}
}
