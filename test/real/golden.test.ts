import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeStored } from '../../src/volumes/datastore/kubernetes-protobuf.ts'
import { expected, goldenFiles } from '../volumes/datastore/golden.ts'

// The folder of the Go module k8s.io/api, which CI downloads: golden files of every kind, of several releases.
const named = process.env.RECOVER_TEST_KUBERNETES_API
const folder =
  named !== undefined && existsSync(join(named, 'testdata/HEAD')) ? join(named, 'testdata') : undefined
const why =
  folder === undefined ? ' (skipped: RECOVER_TEST_KUBERNETES_API names no Go module k8s.io/api)' : ''
const releases = folder === undefined ? [] : readdirSync(folder).filter(r => /^(HEAD|v1\.\d+\.\d+)$/.test(r))

describe.skipIf(folder === undefined)(`Kubernetes’ golden files${why}`, () => {
  test('of every kind and release are read as Kubernetes prints them, or told to be of another kind', () => {
    const read = new Map<string, number>()
    for (const release of releases)
      for (const file of goldenFiles(join(folder ?? '', release))) {
        const wanted = expected(file)
        // What a release did not have yet is neither in its stored form nor in its JSON.
        expect(decodeStored(file.stored), `${release} ${file.name}`).toEqual(wanted ?? 'other-kind')
        if (wanted !== undefined) read.set(file.name, (read.get(file.name) ?? 0) + 1)
      }
    expect([...read.keys()].sort()).toEqual([
      'apps.v1.ReplicaSet',
      'storage.k8s.io.v1.StorageClass',
      'storage.k8s.io.v1.VolumeAttachment',
      'v1.Namespace',
      'v1.Node',
      'v1.PersistentVolume',
      'v1.PersistentVolumeClaim',
      'v1.Pod',
    ])
    expect(read.get('v1.PersistentVolume')).toBeGreaterThanOrEqual(releases.length)
  })
})
