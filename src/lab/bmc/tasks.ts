import { type Bmc, type Reply, save } from './bmc.ts'
import { link, type Resource, tasks } from './resources.ts'

/** Begins a task that ends after a few looks. */
export function beginTask(bmc: Bmc, failed: boolean): Reply {
  const id = String(Object.keys(bmc.state.tasks).length + 1)
  bmc.state.tasks[id] = { looks: 3, ...(failed ? { failed } : {}) }
  save(bmc)
  const location = `${tasks}/${id}`
  const body = {
    ...link(location),
    '@odata.type': '#Task.v1_7_0.Task',
    Id: id,
    Name: 'Task',
    TaskState: 'New',
  }
  return { status: 202, headers: { location }, body }
}

/** A look at a task, which brings it one look nearer to its end; undefined where there is none of that path. */
export function lookAtTask(bmc: Bmc, path: string): Resource | undefined {
  const task = path.startsWith(`${tasks}/`) ? bmc.state.tasks[path.slice(tasks.length + 1)] : undefined
  if (!task) return undefined
  task.looks -= 1
  save(bmc)
  const state = task.looks > 0 ? 'Running' : task.failed ? 'Exception' : 'Completed'
  const failed = {
    MessageId: 'Base.1.15.InternalError',
    Message: 'The machine did not follow half way through.',
  }
  return {
    ...link(path),
    '@odata.type': '#Task.v1_7_0.Task',
    Id: path.slice(tasks.length + 1),
    Name: 'Task',
    TaskState: state,
    PercentComplete: state === 'Completed' ? 100 : 50,
    ...(state === 'Exception' ? { Messages: [failed] } : {}),
  }
}
