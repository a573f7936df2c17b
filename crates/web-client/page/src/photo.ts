/** The hub takes photos up to this size. */
const LARGEST = 10 * 1024 * 1024;

/** Long edge of a photo that had to be made smaller; far more than an analysis looks at. */
const LONG_EDGE = 4096;

export const KINDS = ['image/jpeg', 'image/png', 'image/webp'];

/** The photo, made smaller where the hub would refuse it for its size. */
export async function prepare(photo: Blob): Promise<Blob> {
  if (photo.size <= LARGEST) return photo;
  const bitmap = await createImageBitmap(photo);
  const scale = Math.min(1, LONG_EDGE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const smaller = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.9));
  if (!smaller || smaller.size > LARGEST) throw new Error('The photo is too large. The hub takes up to 10 MiB.');
  return smaller;
}
