import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Starts the files whose path matches first, in the order of the patterns: the rest finds room beside them. */
export function longestFirst(...patterns: RegExp[]): typeof BaseSequencer {
  const rank = ({ moduleId }: TestSpecification) => {
    const found = patterns.findIndex(pattern => pattern.test(moduleId))
    return found === -1 ? patterns.length : found
  }
  return class extends BaseSequencer {
    override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
      return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
    }
  }
}
