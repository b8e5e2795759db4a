// Takes apart what pyrovae/explore/store.py put together.

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

// The bytes of a store: five letters for four bytes, deflated.
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

// What `Store.put` put there, or one of its kin.
function stored(bytes, { type, at, size, rows, columns }) {
  if (type === "rounded") return restored(bytes, at, rows, columns);
  const Kind = ARRAYS[type];
  return new Kind(bytes.slice(at, at + size * Kind.BYTES_PER_ELEMENT));
}

function restored(bytes, at, rows, columns) {
  const after = at + 4 * (rows + columns), steps = new Float32Array(bytes.slice(at, after));
  const last = new Uint8Array(bytes, after, rows), first = new Uint8Array(bytes, after + rows, rows * columns);
  const rest = new Uint8Array(bytes, after + rows + rows * columns), numbers = new Float32Array(rows * columns);
  for (let row = 0, next = 0; row < rows; row++) {
    let held = 0, many = 0; // bits that are read and not used yet
    for (let i = row * columns, j = rows; j < rows + columns; i++, j++) {
      for (; many < last[row]; many += 8) held = held << 8 | rest[next++];
      many -= last[row];
      numbers[i] = ((first[i] - 128) * 2 ** last[row] + (held >>> many)) * (steps[row] * steps[j]);
      held &= (1 << many) - 1;
    }
  }
  return numbers;
}

function storedPlaces(bytes, told) {
  const places = stored(bytes, told);
  for (let i = 1; i < places.length; i++) places[i] += places[i - 1];
  return places;
}
