/** The one device of this browser, in IndexedDB. */
import type { StoredDevice } from './vault'

const database = 'ownline'
const shelf = 'device'
const place = 'this'

/** The browser has no room left, or keeps nothing at all. */
export class ShelfFull extends Error {}

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(database, 1)
    request.addEventListener('upgradeneeded', () => request.result.createObjectStore(shelf))
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(new ShelfFull()))
    request.addEventListener('blocked', () => reject(new ShelfFull()))
  })
}

async function during<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await opened()
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = db.transaction(shelf, mode, { durability: 'strict' })
      const request = act(transaction.objectStore(shelf))
      transaction.addEventListener('complete', () => resolve(request.result))
      transaction.addEventListener('abort', () => reject(new ShelfFull()))
    })
  } finally {
    db.close()
  }
}

/** The device; undefined when none is enrolled, or nothing can be kept here. */
export async function read(): Promise<StoredDevice | undefined> {
  try {
    return (await during('readonly', (store) => store.get(place) as IDBRequest<StoredDevice | undefined>)) ?? undefined
  } catch {
    return undefined
  }
}

/** Whether a device can be kept here: tried, because nothing else tells. */
export async function hasRoom(): Promise<boolean> {
  try {
    await during('readwrite', (store) => {
      store.put(new Uint8Array(1 << 14), 'trial')
      return store.delete('trial')
    })
    return true
  } catch {
    return false
  }
}

/** Throws ShelfFull. */
export async function write(device: StoredDevice): Promise<void> {
  await during('readwrite', (store) => store.put(device, place))
}

export async function wipe(): Promise<void> {
  await during('readwrite', (store) => store.clear())
}
