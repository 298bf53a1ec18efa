// Where the bundle begins; `bin/build.mjs` makes it into dist/bundle/recover.js and puts oclif.manifest.json beside it.
import { execute } from '@oclif/core/execute'
import pjson from '../package.json' with { type: 'json' }

await execute({ loadOptions: { root: import.meta.dirname, pjson } })
