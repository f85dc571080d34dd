/**
 * A browser started with LANG=C calls its language `en-US@posix`, which Intl refuses; uPlot hands it to Intl as it is
 * loaded, and that would be the end of the page. So this is imported before it.
 */
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US' });
}
