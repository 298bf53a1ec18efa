import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readGitHistory } from '../../src/volumes/sources/git-history.ts'
import { scratch } from '../runbook/harness.ts'

/** A repository of the test's own, with a commit for each word. */
function repository() {
  const folder = scratch('repository')
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.net', ...args], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1' },
    }).trim()
  git('init', '--quiet', '--initial-branch=main')
  return {
    folder,
    git,
    write(path: string, text: string) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    },
    commit(message: string): string {
      git('add', '--all')
      git('commit', '--quiet', '--message', message)
      return git('rev-parse', 'HEAD').slice(0, 10)
    },
    read: (living: Parameters<typeof readGitHistory>[2] = { claims: [], volumes: [] }) =>
      readGitHistory('git', folder, living),
  }
}

const volume = (name: string, claim: string, handle: string) => `apiVersion: v1
kind: PersistentVolume
metadata: { name: ${name} }
spec:
  capacity: { storage: 5Gi }
  storageClassName: synology-iscsi
  claimRef: { namespace: ${claim.split('/')[0]}, name: ${claim.split('/')[1]} }
  csi: { driver: csi.san.synology.com, volumeHandle: ${handle} }
`

test('volumes that were deleted, renamed and given other LUNs, each with the commit', async () => {
  const home = repository()
  home.write('grafana/volume.yaml', volume('pv-grafana', 'grafana/data', 'lun-1'))
  home.write(
    'nebraska/häfen.yaml',
    `${volume('pv-nebraska', 'nebraska/db', 'lun-2')}---\n${volume('pv-b', 'b/b', 'lun-3')}`,
  )
  home.write(
    'claims.yaml',
    'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: films, namespace: mahiron }\n',
  )
  home.commit('first')
  home.write('grafana/volume.yaml', volume('pv-grafana', 'grafana/storage', 'lun-1'))
  const renamed = home.commit('renamed')
  home.write('nebraska/häfen.yaml', volume('pv-b', 'b/b', 'lun-3'))
  rmSync(join(home.folder, 'claims.yaml'))
  const removed = home.commit('removed')
  home.write('grafana/volume.yaml', volume('pv-grafana', 'grafana/storage', 'lun-9'))
  const replaced = home.commit('another LUN')
  // A file that moves takes nothing away.
  home.git('mv', 'nebraska/häfen.yaml', 'b.yaml')
  home.commit('moved')
  const { testimonies, formerClaims, remarks } = await home.read()
  const day = new Date().toISOString().slice(0, 4)
  expect(testimonies.map(t => [t.claim, t.lun, t.deleted, t.where])).toEqual([
    [
      'grafana/storage',
      'lun-1',
      true,
      expect.stringMatching(`^commit ${replaced} of ${day}.* from grafana/volume.yaml$`),
    ],
    [
      'nebraska/db',
      'lun-2',
      true,
      expect.stringMatching(`^commit ${removed} of .* from nebraska/häfen.yaml$`),
    ],
    ['grafana/data', 'lun-1', true, expect.stringMatching(`^commit ${renamed} of `)],
  ])
  expect(testimonies[0]).toMatchObject({
    sizeBytes: 5 * 2 ** 30,
    volume: 'pv-grafana',
    storageClass: 'synology-iscsi',
  })
  expect(formerClaims).toEqual([{ claim: 'mahiron/films', where: expect.stringContaining(removed) }])
  expect(remarks).toEqual([])
})

test('what the repository says now in another way was not deleted', async () => {
  const home = repository()
  home.write('a.yaml', volume('pv', 'a/a', 'lun-1'))
  home.commit('plain')
  rmSync(join(home.folder, 'a.yaml'))
  home.write('README.md', 'a chart makes it now')
  home.commit('rendered')
  const living = { claims: ['a/a'], volumes: [{ claim: 'a/a', lun: 'lun-1' }] }
  expect((await home.read(living)).testimonies).toEqual([])
  expect((await home.read()).testimonies).toHaveLength(1)
})

test('templates, conflicts and other files are passed over; a merge counts for what it takes away', async () => {
  const home = repository()
  home.write('t.yaml', 'kind: PersistentVolume\nmetadata: { name: {{ .Values.x }} }\n')
  home.write('c.yaml', `<<<<<<< ours\n${volume('pv', 'a/a', 'lun-1')}=======\n>>>>>>> theirs\n`)
  home.write('a.yaml', volume('pv', 'a/a', 'lun-7'))
  home.commit('base')
  home.git('checkout', '--quiet', '-b', 'side')
  rmSync(join(home.folder, 'a.yaml'))
  home.commit('removed on a side')
  home.git('checkout', '--quiet', 'main')
  home.write('README.md', 'more')
  home.commit('more')
  home.git('merge', '--quiet', '--no-ff', '--no-edit', 'side')
  expect((await home.read()).testimonies.map(t => t.lun)).toEqual(['lun-7'])
})

test('no repository, no commit and a shallow clone are said', async () => {
  const none = await readGitHistory('git', scratch('none'), { claims: [], volumes: [] })
  expect(none).toMatchObject({
    testimonies: [],
    remarks: [expect.stringMatching(/^its history was not read: not a git repository/)],
  })
  const home = repository()
  expect((await home.read()).remarks).toHaveLength(1)
  home.write('a.yaml', volume('pv', 'a/a', 'lun-1'))
  home.commit('first')
  home.write('b.yaml', 'x: 1\n')
  home.commit('second')
  const clone = join(scratch('clone'), 'shallow')
  home.git('clone', '--quiet', '--depth', '1', `file://${home.folder}`, clone)
  const shallow = await readGitHistory('git', clone, { claims: [], volumes: [] })
  expect(shallow.remarks).toEqual([expect.stringContaining('only the newest commits')])
})
