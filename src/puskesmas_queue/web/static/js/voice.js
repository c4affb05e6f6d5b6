/**
 * How this browser speaks: what the clinic's announcers made, else a voice of its own.
 *
 * A part of the TV and the kiosk, who decide when.
 */

const SPEECH_LIMIT_MS = 11_000; // for each half of a call: the server goes on after 25 s

/** Ask the server how something sounds: `{sound: [base64], has_chime}`; null without an answer. */
export async function askSound(path, options) {
  try {
    const answer = await fetch(path, options);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // the browser's own voice is better than silence
  }
}

/** Make what `askSound` answered ready to be played; nothing of it if any of it cannot be. */
export async function decodeSounds(made, audio) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  try {
    return await Promise.all((made?.sound ?? []).map((one) => audio.decodeAudioData(bytes(one))));
  } catch {
    return [];
  }
}

/** Play one sound to its end, or until `signal` is aborted. */
export function play(audio, sound, signal) {
  return new Promise((done) => {
    if (signal?.aborted) return done();
    const source = audio.createBufferSource();
    const limit = window.setTimeout(done, sound.duration * 1000 + 1000);
    source.buffer = sound;
    source.onended = () => {
      window.clearTimeout(limit);
      source.disconnect();
      done();
    };
    signal?.addEventListener("abort", () => source.stop());
    source.connect(audio.destination);
    return source.start();
  });
}

/** This browser's own voice for a language, null where it has none. */
export function voiceFor(language) {
  // "in" is what old Android voices call Indonesian.
  const codes = language === "id" ? ["id", "in"] : [language];
  const voices = window.speechSynthesis?.getVoices() ?? [];
  return voices.find((one) => codes.includes(one.lang.toLowerCase().split(/[-_]/)[0])) ?? null;
}

let utterance = null; // held: Chromium collects one that nobody holds and never reports its end

/** Say a text with a voice of this browser's, to its end or until `limitMs` are over. */
export function say(text, voice, limitMs = SPEECH_LIMIT_MS) {
  return new Promise((done) => {
    const limit = window.setTimeout(done, limitMs);
    utterance = new SpeechSynthesisUtterance(text);
    utterance.voice = voice;
    utterance.lang = voice.lang;
    utterance.rate = 0.9;
    utterance.onend = utterance.onerror = () => {
      window.clearTimeout(limit);
      done();
    };
    window.speechSynthesis.speak(utterance);
  });
}
