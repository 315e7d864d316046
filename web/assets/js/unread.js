// A page that came before history was read says so. One with a socket gets the rest there; another asks again,
// in words that have the server wait, and is loaded anew once that is answered.
const patience = 30; // s

export async function startUnread() {
  if (!document.querySelector('meta[name=unread]')) return;
  try {
    const answer = await fetch(location.href, { headers: { Prefer: `wait=${patience}` } });
    await answer.text();
  } catch {
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
  }
  location.reload();
}
