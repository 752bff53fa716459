/** Where of a picture a square is taken. */
export interface Crop {
  /** 1: as much as fits; 4: a quarter of that. */
  zoom: number
  /** 0: the left or upper edge, 1: the other one. */
  x: number
  y: number
}

export const wholeCrop: Crop = { zoom: 1, x: 0.5, y: 0.5 }

/** The square of a picture of that size, in its pixels. */
export function squareOf(width: number, height: number, { zoom, x, y }: Crop) {
  const side = Math.min(width, height) / Math.max(1, zoom)
  return { left: (width - side) * x, top: (height - side) * y, side }
}

/** Pixels a side of what is uploaded: as a PNG it stays well below what the server keeps. */
const side = 128

/** Draws the square of a picture as a PNG. */
export function cut(picture: ImageBitmap, crop: Crop): Promise<Blob> {
  const canvas = document.createElement('canvas')
  canvas.width = side
  canvas.height = side
  const pen = canvas.getContext('2d')
  const from = squareOf(picture.width, picture.height, crop)
  if (pen) pen.imageSmoothingQuality = 'high'
  pen?.drawImage(picture, from.left, from.top, from.side, from.side, 0, 0, side, side)
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('not drawn'))), 'image/png'),
  )
}

export const largestPicture = 256 * 1024
export const pictureKinds = ['image/png', 'image/jpeg', 'image/webp', 'image/svg+xml']

/** What is wrong with a file as a picture, before anything is read of it. */
export function refusal(file: Pick<File, 'size' | 'type'>): 'tooLarge' | 'wrongKind' | undefined {
  if (!pictureKinds.includes(file.type)) return 'wrongKind'
  return file.size > largestPicture ? 'tooLarge' : undefined
}
