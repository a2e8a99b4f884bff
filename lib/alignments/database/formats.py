"""The format of the alignments file, and how files of earlier formats are renewed.

Format 5 (`PRAGMA application_id` 0x46535750, `PRAGMA user_version` 5). Numbers are little-endian,
coordinates in frame pixels, frames counted from 0:
- `settings(key, value)`: JSON values, which `state.StoreState` describes.
- `frames(frame, name, time, look, stamp, content)`: one row for each frame that was searched, with
  or without faces; the `name` of a picture, the `time` in seconds of a video's frame; `look`, 32 x
  18 x 3 bytes RGB, by which cuts are found, or NULL; `stamp` and `content` the size and times of a
  picture's file and the fingerprint of its bytes when it was searched (`lib/files/fingerprint.py`),
  or NULL.
- `faces(frame, number, box, score, landmarks, smooth, track, filled, person, embedding, dropped,
  recognizer, shape)`: `box` 4 float32; `landmarks` 68 x 2 float32, or nothing where none were fitted;
  `number` from 0, best score first; `smooth` the landmarks without jitter; `track` the number of
  the face's track; `person` whose face it is, from 1, the most frequent first; `embedding` D
  float32 by the `recognizer` of that name; NULL where there are none. `filled` is 1 where the
  detector missed the face and its neighbours in time told where it is; `dropped` says why the face
  is left out (a key of `left_out.REASONS`), NULL where it is not. `shape` is 78 float32, or NULL
  where the aligner tells the landmarks alone: its score from 0 to 1; yaw, pitch and roll in
  degrees, positive to the picture's right, up and clockwise; the depth of the 68 landmarks in
  pixels, larger is farther; x, y and radius of the person's right iris, then of the left.
- `masks(frame, number, name, size, pixels)`: `size` squared bytes, zlib-compressed, 255 = face,
  over the crop of coverage "whole" by `landmarks`, not by `smooth`.
- `written(folder, frame, number)`: faces that were written into a face folder, so that what a user
  deletes there stays deleted.
"""

APPLICATION = 0x46535750
FORMAT = 5
SCHEMA = """
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE frames(frame INTEGER PRIMARY KEY, name TEXT NOT NULL, time REAL, look BLOB,
    stamp TEXT, content TEXT);
CREATE TABLE faces(frame INTEGER NOT NULL, number INTEGER NOT NULL, box BLOB NOT NULL,
    score REAL NOT NULL, landmarks BLOB NOT NULL, smooth BLOB, track INTEGER,
    filled INTEGER NOT NULL DEFAULT 0, person INTEGER, embedding BLOB, dropped TEXT,
    recognizer TEXT, shape BLOB, PRIMARY KEY(frame, number)) WITHOUT ROWID;
CREATE TABLE masks(frame INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, pixels BLOB NOT NULL, PRIMARY KEY(frame, number, name));
CREATE TABLE written(folder TEXT NOT NULL, frame INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY(folder, frame, number)) WITHOUT ROWID;
"""
FROM_FORMAT_1 = """
ALTER TABLE frames ADD COLUMN look BLOB;
ALTER TABLE faces ADD COLUMN smooth BLOB;
ALTER TABLE faces ADD COLUMN track INTEGER;
ALTER TABLE faces ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE faces ADD COLUMN person INTEGER;
ALTER TABLE faces ADD COLUMN embedding BLOB;
ALTER TABLE faces ADD COLUMN dropped TEXT;
INSERT OR IGNORE INTO settings SELECT 'maskers', '{"hull": {"dilation": 0.0, "feather": 0.0}}'
    WHERE EXISTS (SELECT 1 FROM masks);
UPDATE settings SET key = 'min_face' WHERE key = 'min_size'
"""
FROM_FORMAT_2 = """
ALTER TABLE written RENAME TO written_frames;
CREATE TABLE written(folder TEXT NOT NULL, frame INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY(folder, frame, number)) WITHOUT ROWID;
INSERT INTO written SELECT folder, frame, faces.number FROM written_frames JOIN faces USING (frame)
    WHERE COALESCE(dropped, 'removed') = 'removed';
DROP TABLE written_frames
"""
FROM_FORMAT_3 = """
ALTER TABLE frames ADD COLUMN stamp TEXT;
ALTER TABLE frames ADD COLUMN content TEXT;
ALTER TABLE faces ADD COLUMN recognizer TEXT;
UPDATE faces SET embedding = NULL WHERE embedding IS NOT NULL AND (length(embedding) <> 512
    OR COALESCE((SELECT value FROM settings WHERE key = 'recognizer'), '"dlib_resnet"')
    <> '"dlib_resnet"');
UPDATE faces SET recognizer = 'dlib_resnet' WHERE embedding IS NOT NULL
"""
FROM_FORMAT_4 = "ALTER TABLE faces ADD COLUMN shape BLOB"
# By the format that they start from
RENEWALS = {1: FROM_FORMAT_1, 2: FROM_FORMAT_2, 3: FROM_FORMAT_3, 4: FROM_FORMAT_4}
