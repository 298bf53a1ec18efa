#!/usr/bin/env node
// The bundle, because most of what `--help` takes is opening hundreds of small files.
await import('../dist/bundle/recover.js').catch(error => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || !error.message.includes('recover.js')) throw error
  process.stderr.write('Error: recover is not built\nWhat to do: run `npm run setup`\n')
  process.exitCode = 2
})
