import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { decodeStored } from '../../../src/volumes/datastore/kubernetes-protobuf.ts'
import { expected, goldenFiles } from './golden.ts'

const golden = goldenFiles(fileURLToPath(new URL('./golden/', import.meta.url)))

test.each(golden)('$name reads as Kubernetes prints it, every field set', file => {
  expect(decodeStored(file.stored)).toEqual(expected(file))
})

test('the golden files are those of the kinds that volumes are made of', () => {
  expect(golden.map(g => g.name)).toEqual([
    'storage.k8s.io.v1.StorageClass',
    'storage.k8s.io.v1.VolumeAttachment',
    'v1.Namespace',
    'v1.Node',
    'v1.PersistentVolume',
    'v1.PersistentVolumeClaim',
  ])
})
