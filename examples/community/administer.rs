//! What an administrator does: move, take back, revoke; each while somebody else goes on writing.

use basefs::fs::Keep;
use basefs::{Fs, WriteError};

use crate::table::Table;
use crate::{CONTESTED, Error, Replica, connect_again, part, settle};

/// Ana moves what Ben is editing, takes a version back, and at last revokes him. Gives how many
/// paths are not, everywhere, what they should be.
pub(crate) async fn administer(
    replicas: &mut [Replica],
    table: &mut Table,
) -> Result<usize, Error> {
    let mut wrong = rename(replicas, table).await?;
    wrong += revert(replicas, table).await?;
    wrong += revoke(replicas, table).await?;
    Ok(wrong)
}

/// Everybody must show the same at a path, for the same reason; nothing if nothing is expected.
fn agree(replicas: &[Replica], path: &str, expected: Option<&str>) -> Result<usize, Error> {
    let why = replicas[0].fs.explain(path)?;
    let agrees = |replica: &&Replica| {
        let shown = replica.fs.read(path).ok();
        shown.as_deref() == expected.map(str::as_bytes)
            && replica.fs.explain(path) == Ok(why.clone())
    };
    let wrong = replicas.iter().filter(|replica| !agrees(replica)).count();
    println!("  {why}");
    Ok(wrong)
}

/// A directory and a file are moved while Ben, apart, writes to both.
async fn rename(replicas: &mut [Replica], table: &mut Table) -> Result<usize, Error> {
    let [ana, ben, _] = &*replicas else { return Err("three replicas are expected".into()) };
    ben.fs.write("/users/ben/drafts/letter", "Dear all")?;
    ben.fs.write("/users/ben/readme", "ben's things")?;
    settle(ben).await?;
    settle(ana).await?;
    part(replicas).await?;

    let [ana, ben, _] = &*replicas else { return Err("three replicas are expected".into()) };
    println!("\napart, ana renames drafts to letters and readme to about, and ben edits both");
    ana.fs.rename("/users/ben/drafts", "/users/ben/letters")?;
    ana.fs.rename("/users/ben/readme", "/users/ben/about")?;
    ben.fs.write("/users/ben/drafts/letter", "Dear all, I am well")?;
    ben.fs.write("/users/ben/readme", "ben's things, and cats")?;
    connect_again(replicas).await?;

    println!("a directory stays itself wherever it is shown, so his edit went along:");
    let mut wrong = agree(replicas, "/users/ben/letters/letter", Some("Dear all, I am well"))?;
    println!("a file is its content, so his edit stands against her move, and she outranks him:");
    wrong += agree(replicas, "/users/ben/about", Some("ben's things"))?;
    wrong += agree(replicas, "/users/ben/readme", None)?;
    table.administered("renamed", "drafts to letters: the edit made meanwhile went along");

    let ana = &replicas[0].fs;
    let conflict = ana.conflicts("/users/ben")?.into_iter().find(|c| c.path.ends_with("readme"));
    let lost = conflict.ok_or("the edit that lost is not listed")?.losers[0].version.id;
    ana.write("/users/ben/about", ana.read_version(&lost)?)?;
    ana.dismiss("/users/ben/readme")?;
    everybody_has(replicas).await?;
    println!("nothing is lost: ana takes his text over, and the conflict is settled");
    wrong += agree(replicas, "/users/ben/about", Some("ben's things, and cats"))?;
    let left = replicas[0].fs.conflicts("/users/ben/readme")?.len();
    table.administered("", "readme to about: the edit lost to the move, and was taken over");
    Ok(wrong + left)
}

/// An earlier version of the contested path is shown again.
async fn revert(replicas: &mut [Replica], table: &mut Table) -> Result<usize, Error> {
    let ana = &replicas[0].fs;
    let version = ana
        .versions(CONTESTED)?
        .into_iter()
        .find(|version| ana.read_version(&version.id).is_ok_and(|text| text == "ben: here"));
    let version = version.ok_or("the first version is gone")?;
    println!("\nana reverts {CONTESTED} to {version}");
    ana.revert(CONTESTED, version.id)?;
    everybody_has(replicas).await?;
    let wrong = agree(replicas, CONTESTED, Some("ben: here"))?;
    let verb = replicas[0].fs.versions(CONTESTED)?[0].verb;
    table.administered("reverted", &format!("{CONTESTED} by a further version, a {verb}"));
    Ok(wrong)
}

/// Ben may write no longer. What he wrote before stays; what he writes apart counts for nothing,
/// not even on his own replica once it has heard.
async fn revoke(replicas: &mut [Replica], table: &mut Table) -> Result<usize, Error> {
    part(replicas).await?;
    let [ana, ben, _] = &*replicas else { return Err("three replicas are expected".into()) };
    let who = ben.fs.author();
    let plan = ana.fs.revoke_plan("/users/ben", who, Keep::Seen)?;
    println!("\nana revokes ben; what that would do:");
    plan.to_string().lines().for_each(|line| println!("  {line}"));
    plan.apply()?;
    ben.fs.write(CONTESTED, "ben: still here")?;
    println!("ben, apart, has not heard of it and writes {CONTESTED} once more");
    connect_again(replicas).await?;

    println!("his old work stays, the new version is cut everywhere:");
    let mut wrong = agree(replicas, CONTESTED, Some("ben: here"))?;
    wrong += agree(replicas, "/users/ben/letters/letter", Some("Dear all, I am well"))?;
    let ben = &replicas[1].fs;
    wrong += usize::from(!is_refused(ben));
    let cut = ben.cut("/users/ben")?.len();
    table.administered("revoked", &format!("ben: {cut} version cut, the rest of his work stays"));
    Ok(wrong + usize::from(cut != 1))
}

fn is_refused(fs: &Fs) -> bool {
    match fs.write(CONTESTED, "ben: and now?") {
        Err(error @ WriteError::Denied { .. }) => {
            println!("his own replica refuses him now: {error}");
            true
        }
        _ => false,
    }
}

/// Waits until what Ana wrote is everywhere.
async fn everybody_has(replicas: &[Replica]) -> Result<(), Error> {
    for replica in &replicas[1..] {
        settle(replica).await?;
    }
    Ok(())
}
