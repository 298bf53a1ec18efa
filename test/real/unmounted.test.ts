import { mkdirSync, mkdtempSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { unmountedScript } from '../../src/hosts/data-script.ts'
import { run, runWith } from './harness/commands.ts'
import { writeInto } from './harness/guest-root.ts'
import { mounted, sha256 } from './harness/mounted.ts'
import { describeReal, place } from './harness/place.ts'

const made = { ext4: ['mkfs.ext4', '-q'], xfs: ['mkfs.xfs', '-q'], btrfs: ['mkfs.btrfs', '-q'] }

/** A file system in a file, and a copy of it as a power cut leaves it: with a journal that is to be played back. */
function left(type: keyof typeof made, fill: (at: string) => void): { clean: string; cutOff: string } {
  const folder = mkdtempSync(join(place().folder, 'left-'))
  const [clean, cutOff] = [join(folder, 'clean'), join(folder, 'cut-off')]
  writeFileSync(clean, '')
  // XFS has 300 MiB at least.
  truncateSync(clean, 320 << 20)
  run(...(made[type] as [string, string]), clean)
  mounted(clean, 'rw', at => {
    fill(at)
    run('sync', '-f', at)
    run('cp', '--sparse=always', clean, cutOff)
  })
  return { clean, cutOff }
}

function attached(file: string): string {
  const device = run('losetup', '--find', '--show', file).trim()
  onTestFinished(() => void run('losetup', '--detach', device))
  return basename(device)
}

const aSystem = {
  'var/lib/k0s/db/state.db': 'all that the API knew',
  'opt/local-path-provisioner/pvc-1_media_photos/picture': 'a picture',
  'srv/photos/picture': 'another',
  'etc/exports': '/srv/photos *(rw)\n',
  // What lies on such a disk is looked at, and never executed.
  'opt/bin/du': '#!/bin/sh\necho 666\n',
}

function asASystem(at: string): void {
  for (const name of ['dev', 'etc', 'proc', 'usr', 'var']) mkdirSync(join(at, name))
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(at, name))
  writeInto(at, aSystem)
  run('chmod', '+x', join(at, 'opt/bin/du'))
}

function look(args: string[]): string[] {
  const said = runWith(
    { input: unmountedScript },
    'sh',
    '-s',
    '--',
    ...args,
    '--',
    '/srv/photos',
    '/srv/none',
  )
  expect(said).not.toContain(`${666 * 1024}`)
  return said.split('\n').map(line => line.split('\t').slice(0, 3).join(' '))
}

// By the very script that a machine gets, on the kernel's own file systems.
describeReal('file systems that nothing has mounted', () => {
  test.each(['ext4', 'xfs', 'btrfs'] as const)(
    '%s: what is on it is told, and not a byte of it changes, with a journal to be played back neither',
    type => {
      const system = left(type, asASystem)
      const photos = left(type, at => writeInto(at, { 'photos/a': 'a', '.hidden': 'b' }))
      const files = [system.clean, photos.clean, system.cutOff]
      const before = files.map(sha256)
      const [one, two, three] = files.map(attached)
      expect(look([`${one}:${type}`, `${two}:${type}`, `${one}:crypto_LUKS`])).toEqual([
        `opened ${one}`,
        `root ${one}`,
        'data volume /srv/photos',
        'data local-path /opt/local-path-provisioner',
        'entry local-path /opt/local-path-provisioner',
        'data kine /var/lib/k0s/db',
        'file kine /var/lib/k0s/db/state.db',
        'file exports /etc/exports',
        'data nfs /srv/photos',
        'end',
        `opened ${two}`,
        `inside ${two} photos`,
        `inside ${two} .hidden`,
        `closed ${one}`,
        'end',
        '',
      ])
      // All of btrfs is on the disk at every moment; the others keep what is new in the journal.
      const [first] = look([`${three}:${type}`])
      expect(first).toBe(`${type === 'btrfs' ? 'opened' : 'unplayed'} ${three}`)
      expect(files.map(sha256)).toEqual(before)
      const mounts = run('cat', '/proc/self/mounts')
      for (const device of [one, two, three]) expect(mounts).not.toContain(`/dev/${device} `)
    },
  )
})
