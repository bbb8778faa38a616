//! A disk in memory that remembers what was synced, and can show what a power cut would leave.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::disk::{Disk, DiskFile};

/// A small generator, so that a failure can be run again from its seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64).max(1)).unwrap()
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    /// What programs see.
    names: BTreeMap<PathBuf, usize>,
    /// What is on disk, and the changes of names that may or may not be.
    names_synced: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<Naming>,
    /// Bytes that may still be appended before the disk is full.
    room: Option<u64>,
    sync_fails: bool,
    syncs: u64,
    bytes_read: u64,
}

#[derive(Default, Clone)]
struct Node {
    content: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Clone)]
enum Naming {
    Is(PathBuf, usize),
    Gone(PathBuf),
}

fn name(names: &mut BTreeMap<PathBuf, usize>, naming: &Naming) {
    match naming {
        Naming::Is(path, node) => drop(names.insert(path.clone(), *node)),
        Naming::Gone(path) => drop(names.remove(path)),
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn set_room(&self, room: Option<u64>) {
        self.state().room = room;
    }

    pub(super) fn set_sync_fails(&self, fails: bool) {
        self.state().sync_fails = fails;
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.state().bytes_read
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    pub(super) fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.nodes[state.names[path]].content.clone()
    }

    /// Puts bytes where they are, as a fault would.
    pub(super) fn set_content(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.state();
        let node = state.names[path];
        state.nodes[node] = Node { synced: content.clone(), content };
    }

    /// What is there after a kill of the process: everything that was written.
    pub(super) fn after_kill(&self) -> SimDisk {
        let state = self.state();
        let mut nodes = state.nodes.clone();
        for node in &mut nodes {
            node.synced.clone_from(&node.content);
        }
        SimDisk::of(nodes, state.names.clone())
    }

    /// What is there after the power went: what was synced, and of the rest what chance wrote. Names are changed in the
    /// order of the journal; content in pieces, each there, not there, or zeros.
    pub(super) fn after_power_cut(&self, random: &mut Random) -> SimDisk {
        let state = self.state();
        let mut names = state.names_synced.clone();
        let kept = random.below(state.unsynced_names.len() + 1);
        for naming in &state.unsynced_names[..kept] {
            name(&mut names, naming);
        }
        let nodes = state.nodes.iter().map(|node| {
            let content = torn(&node.synced, &node.content, random);
            Node { synced: content.clone(), content }
        });
        SimDisk::of(nodes.collect(), names)
    }

    /// The same files under another directory.
    pub(super) fn rebased(&self, from: &Path, to: &Path) -> SimDisk {
        let state = self.state();
        let rebase = |path: &PathBuf| to.join(path.strip_prefix(from).unwrap());
        let names = state.names.iter().map(|(path, node)| (rebase(path), *node)).collect();
        SimDisk::of(state.nodes.clone(), names)
    }

    fn of(nodes: Vec<Node>, names: BTreeMap<PathBuf, usize>) -> SimDisk {
        let names_synced = names.clone();
        SimDisk(Arc::new(Mutex::new(State { nodes, names, names_synced, ..State::default() })))
    }
}

fn torn(synced: &[u8], written: &[u8], random: &mut Random) -> Vec<u8> {
    if !written.starts_with(synced) {
        // Cut or written anew since the last sync: the one or the other.
        return if random.below(2) == 0 { synced.to_vec() } else { written.to_vec() };
    }
    let mut content = synced.to_vec();
    let length = random.below(written.len() - synced.len() + 1);
    let rest = &written[synced.len()..synced.len() + length];
    let piece_bytes = 1 + random.below(700);
    for piece in rest.chunks(piece_bytes) {
        if random.below(4) == 0 {
            content.resize(content.len() + piece.len(), 0);
        } else {
            content.extend_from_slice(piece);
        }
    }
    content
}

struct SimFile {
    disk: SimDisk,
    node: usize,
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let node = if let Some(&node) = state.names.get(path) {
            state.nodes[node].content.clear();
            node
        } else {
            state.nodes.push(Node::default());
            let node = state.nodes.len() - 1;
            state.names.insert(path.to_owned(), node);
            state.unsynced_names.push(Naming::Is(path.to_owned(), node));
            node
        };
        Ok(Box::new(SimFile { disk: self.clone(), node }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = *self.state().names.get(path).ok_or_else(missing)?;
        Ok(Box::new(SimFile { disk: self.clone(), node }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let node = state.names.remove(from).ok_or_else(missing)?;
        state.names.insert(to.to_owned(), node);
        state.unsynced_names.push(Naming::Is(to.to_owned(), node));
        state.unsynced_names.push(Naming::Gone(from.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.names.remove(path).ok_or_else(missing)?;
        state.unsynced_names.push(Naming::Gone(path.to_owned()));
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create_dir(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _directory: &Path) -> io::Result<()> {
        // One journal for all directories, as file systems have it.
        let mut state = self.state();
        let namings = std::mem::take(&mut state.unsynced_names);
        for naming in &namings {
            name(&mut state.names_synced, naming);
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let length = bytes.len() as u64;
        let fits = state.room.map_or(length, |room| room.min(length));
        if let Some(room) = &mut state.room {
            *room -= fits;
        }
        let fits = usize::try_from(fits).unwrap();
        state.nodes[self.node].content.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let content = &state.nodes[self.node].content;
        let start = usize::try_from(offset).unwrap().min(content.len());
        let count = buffer.len().min(content.len() - start);
        buffer[..count].copy_from_slice(&content[start..start + count]);
        state.bytes_read += count as u64;
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.state().nodes[self.node].content.len() as u64)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.state().nodes[self.node].content.truncate(usize::try_from(size).unwrap());
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.sync_fails {
            return Err(io::Error::other("the disk is gone"));
        }
        state.syncs += 1;
        let node = &mut state.nodes[self.node];
        if node.content.starts_with(&node.synced) {
            let synced = node.synced.len();
            node.synced.extend_from_slice(&node.content[synced..]);
        } else {
            node.synced.clone_from(&node.content);
        }
        Ok(())
    }
}
