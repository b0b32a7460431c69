//! Replicas in memory that exchange entries by hand, and entries that `Fs` has no verb for.

use basefs::Fs;
use basefs::entry::{Body, Payload, Rights};
use basefs::id::{EntryId, PublicKey};
use basefs::log::Offered;
use basefs::time::WallTime;
use basefs::wire::SecretKey;

/// A replica and the key it writes with.
pub(super) struct Member {
    pub(super) fs: Fs,
    pub(super) key: SecretKey,
}

impl std::ops::Deref for Member {
    type Target = Fs;

    fn deref(&self) -> &Fs {
        &self.fs
    }
}

/// The founder of a hierarchy, and as many others, who have heard of it and may do nothing yet.
pub(super) fn founder_and(others: u8) -> Vec<Member> {
    let key = SecretKey::from_seed([1; 32]);
    let fs = Fs::builder().key(key.clone()).open().unwrap();
    let ticket = fs.ticket(vec![]);
    let mut all = vec![Member { fs, key }];
    all.extend((0..others).map(|n| {
        let key = SecretKey::from_seed([n + 2; 32]);
        Member { fs: Fs::builder().join(&ticket).key(key.clone()).open().unwrap(), key }
    }));
    exchange(&all);
    all
}

/// A founder and two who may write in `/team`, with all entries everywhere.
pub(super) fn team() -> Vec<Member> {
    let team = founder_and(2);
    team[0].create_dir_all("/team").unwrap();
    for member in &team[1..] {
        team[0].grant("/team", member.author()).unwrap();
    }
    exchange(&team);
    team
}

/// Brings every entry to everybody; contents in blocks stay where they are.
pub(super) fn exchange(all: &[Member]) {
    let all: Vec<Fs> = all.iter().map(|member| member.fs.clone()).collect();
    super::team::exchange(&all);
}

/// The latest version of a path.
pub(super) fn tip(fs: &Fs, path: &str) -> EntryId {
    fs.versions(path).unwrap()[0].id
}

impl Member {
    /// Signs an entry under the narrowest grant, or the one root capability, and takes it in here.
    pub(super) fn sign(
        &self,
        dir: &str,
        name: &str,
        prev: Vec<EntryId>,
        payload: Payload,
    ) -> EntryId {
        let audit = self.audit(&self.author()).unwrap();
        let chain = audit.holds.iter().max_by_key(|held| held.rank).unwrap().grant;
        let head = audit.chains.iter().find(|known| known.grant == chain);
        let body = Body {
            dir: self.dir_id(dir).unwrap(),
            name: name.into(),
            prev,
            cap: chain,
            key: self.author(),
            seq: head.map_or(0, |head| head.length),
            aprev: head.map(|head| head.head),
            ts: WallTime::from_millis(7),
            payload,
        };
        let entry = body.sign(&self.key).unwrap();
        assert_eq!(self.admit(entry.bytes()).unwrap(), Offered::Admitted);
        entry.id()
    }

    pub(super) fn link(
        &self,
        dir: &str,
        name: &str,
        prev: Vec<EntryId>,
        target: EntryId,
    ) -> EntryId {
        self.sign(dir, name, prev, Payload::Link { target })
    }

    /// Moves `/dir/name` to where nothing is or something else was.
    pub(super) fn rename(&self, from: (&str, &str), to: (&str, &str)) {
        let path = |(dir, name): (&str, &str)| format!("{}/{name}", dir.trim_end_matches('/'));
        let target = tip(self, &path(from));
        let over = self.versions(path(to)).map_or(vec![], |versions| vec![versions[0].id]);
        let link = self.link(to.0, to.1, over, target);
        let gone = Payload::Delete { moved_to: Some(link) };
        self.sign(from.0, from.1, vec![target], gone);
    }

    pub(super) fn revoke(&self, dir: &str, who: PublicKey, keep: Vec<EntryId>) -> EntryId {
        self.sign(dir, "", vec![], Payload::Revoke { who, keep })
    }

    pub(super) fn grant_all(&self, dir: &str, who: PublicKey) {
        self.grant_with(dir, who, Rights::All, "").unwrap();
    }
}
