// The types are there for `require` too.

import pillion = require("pillion");

const p: Promise<pillion.Pillion> = pillion.embedded();
void p.then((opened) => opened.close());
