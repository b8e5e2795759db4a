// Reads the arrays that store.py packed.

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

// The bytes of a store: decodes base 85, five letters for four bytes, and inflates the result.
async function unpacked(text) {
  const rest = (5 - text.length % 5) % 5, groups = (text.length + rest) / 5, whole = text + "~".repeat(rest);
  const digits = new Uint8Array(128), packed = new DataView(new ArrayBuffer(4 * groups));
  for (let i = 0; i < LETTERS.length; i++) digits[LETTERS.charCodeAt(i)] = i;
  for (let i = 0; i < groups; i++) {
    let value = 0;
    for (let j = 5 * i; j < 5 * i + 5; j++) value = 85 * value + digits[whole.charCodeAt(j)];
    packed.setUint32(4 * i, value);
  }
  const bytes = new Blob([packed.buffer.slice(0, 4 * groups - rest)]);
  return new Response(bytes.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

// The array that `Store.put` or `Store.put_rounded` stored.
function stored(bytes, { type, at, size, rows, columns }) {
  if (type === "rounded") return restored(bytes, at, rows, columns);
  const Kind = ARRAYS[type];
  return new Kind(bytes.slice(at, at + size * Kind.BYTES_PER_ELEMENT));
}

function restored(bytes, at, rows, columns) {
  // The layout is that of `Store.put_rounded`.
  const after = at + 4 * (rows + columns), steps = new Float32Array(bytes.slice(at, after));
  const counts = new Uint8Array(bytes, after, rows), high = new Uint8Array(bytes, after + rows, rows * columns);
  const low = new Uint8Array(bytes, after + rows + rows * columns), numbers = new Float32Array(rows * columns);
  for (let row = 0, next = 0; row < rows; row++) {
    let bits = 0, unused = 0; // bits that are read already, and how many of them no number has used yet
    for (let i = row * columns, j = rows; j < rows + columns; i++, j++) {
      for (; unused < counts[row]; unused += 8) bits = bits << 8 | low[next++];
      unused -= counts[row];
      numbers[i] = ((high[i] - 128) * 2 ** counts[row] + (bits >>> unused)) * (steps[row] * steps[j]);
      bits &= (1 << unused) - 1;
    }
  }
  return numbers;
}

// The whole numbers that `Store.put_places` stored as differences.
function storedPlaces(bytes, array) {
  const places = stored(bytes, array);
  for (let i = 1; i < places.length; i++) places[i] += places[i - 1];
  return places;
}
