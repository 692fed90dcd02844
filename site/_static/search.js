// Sphinx shows the results of a search one by one, each 5 ms after the one before it: 100 of them
// take half a second. Here all are shown at once. Its index, its order and its words stay.

"use strict";

Search.query = (query) => {
  const parsed = Search._parseQuery(query);
  const results = Search._performSearch(...parsed);
  const count = results.length;
  const [, searched, , highlighted] = parsed;
  while (results.length) _displayItem(results.pop(), searched, highlighted);
  _finishSearch(count);
};
