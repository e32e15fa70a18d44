"""The console in a real browser, on a whole platform with live data. Whatever a person sees is looked at here."""
