// Where the bundle begins; `bin/build.mjs` makes it into dist/bundle/recover.js and puts oclif.manifest.json beside it.
import { main } from '../dist/src/cli/main.js'
import pjson from '../package.json' with { type: 'json' }

// The completion plug-in is loaded for its own command alone: it would take a fifth of every other start.
const completes = process.argv.slice(2).includes('autocomplete')
const own = completes ? pjson : { ...pjson, oclif: { ...pjson.oclif, plugins: [] } }
await main(process.argv.slice(2), { root: import.meta.dirname, pjson: own })
