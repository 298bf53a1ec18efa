import { type Controller, refOf } from './context.ts'

/** Removes what belonged to something that is gone, as the garbage collector does in the background. */
export const garbage: Controller = ({ store }) => {
  const objects = new Map(
    store
      .resources()
      .flatMap(resource => store.list(resource))
      .map(object => [object.metadata.uid, object]),
  )
  for (const object of objects.values()) {
    const owners = object.metadata.ownerReferences ?? []
    if (owners.length === 0 || owners.some(owner => objects.has(owner.uid))) continue
    if (!object.metadata.deletionTimestamp) store.remove(refOf(store, object))
  }
}
